"""Secure aggregation (SecAgg+, Bell 2020): the server learns the sum of updates, and none by itself.

Every client masks its update by a random stream of its own and by one shared with each of its neighbours,
which cancel in the sum. The seed of the first and the key behind the others are dealt to the neighbours in
Shamir shares, so that a majority of them can take away either a living client's own mask or a lost client's
shared ones, and no client ever hands out both for the same neighbour. Four messages: `train.setup` (public
keys), `train.share` (sealed shares), `train.collect` (trains; masked update), `train.unmask` (shares).

What it protects against: a server, or somebody who reads its traffic, that follows the protocol and wants to
see a single update. Not against a server that hands out false public keys (clients have no register of keys
to check them by), nor against one that invents clients. Numbers of samples are told in the open. The server
cannot look at an update, so it cannot refuse a poisoned one: a client's own range check is all there is.

The messages carry Flower's primitives (key pairs, agreement, sealing, Shamir), but not its stream: that one
takes all seeds to 32 bits, which can be tried out. Updates are weighed by samples and rounded to multiples of
2^-24, so that the mean is off by at most 2^-25 a coordinate, whatever the masks.
"""
