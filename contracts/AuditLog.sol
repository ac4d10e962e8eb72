// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Append-only audit logs, one per session
/// @notice Each session is a hash chain of record digests that only its owner can extend. A session holds
/// either single records (`append`, `appendMany`) or roots of Merkle trees over records (`anchor`).
/// Digests are salted hashes: nothing a person wrote can be read from the chain.
/// @dev `seq == count + 1` and `prev == head` are required, so a record cannot be doubled, skipped or
/// reordered, and one storage proof of `head` covers the whole session.
contract AuditLog {
    /// @dev The first three members share one storage slot.
    struct Session {
        address owner;
        uint64 count;
        bool closed;
        bytes32 head;
    }

    /// @notice The state of every session: its owner, its number of records, whether it is closed, its head.
    mapping(bytes32 session => Session) public sessions;

    /// @notice A session was opened.
    /// @param session The session's identifier.
    /// @param owner The account that it belongs to from now on.
    event Opened(bytes32 indexed session, address indexed owner);

    /// @notice A record was appended.
    /// @param session The session.
    /// @param seq The record's place in the session, from 1.
    /// @param digest The salted hash of the record.
    /// @param kind The kind of the record, as numbered by the caller.
    /// @param head The session's head after the record.
    event Appended(bytes32 indexed session, uint64 indexed seq, bytes32 digest, uint8 kind, bytes32 head);

    /// @notice A Merkle tree over consecutive records was anchored.
    /// @param session The session.
    /// @param first The place of the tree's first record.
    /// @param count The number of records in the tree.
    /// @param root The tree's root.
    /// @param head The session's head after the tree.
    event Anchored(bytes32 indexed session, uint64 indexed first, uint64 count, bytes32 root, bytes32 head);

    /// @notice A session was handed to another account.
    /// @param session The session.
    /// @param from The account that it belonged to.
    /// @param to The account that it belongs to from now on.
    event Rotated(bytes32 indexed session, address indexed from, address indexed to);

    /// @notice A session was closed; it takes no more.
    /// @param session The session.
    /// @param count The number of its records.
    /// @param head Its last head.
    event Closed(bytes32 indexed session, uint64 count, bytes32 head);

    /// @notice The session has been opened before.
    /// @param session The session.
    error SessionExists(bytes32 session);

    /// @notice The session has not been opened.
    /// @param session The session.
    error SessionUnknown(bytes32 session);

    /// @notice The session is closed.
    /// @param session The session.
    error SessionClosed(bytes32 session);

    /// @notice The session does not belong to the caller.
    /// @param session The session.
    /// @param caller The account that called.
    error NotOwner(bytes32 session, address caller);

    /// @notice The record is not the next one.
    /// @param expected The place of the next record.
    /// @param given The place that was given.
    error WrongSequence(uint64 expected, uint64 given);

    /// @notice The record does not continue from the session's head.
    /// @param expected The session's head.
    /// @param given The head that was given.
    error WrongHead(bytes32 expected, bytes32 given);

    /// @notice `digests` and `kinds` differ in length.
    /// @param digests The number of digests.
    /// @param kinds The number of kinds.
    error LengthMismatch(uint256 digests, uint256 kinds);

    /// @notice A tree without records cannot be anchored.
    /// @param session The session.
    error EmptyTree(bytes32 session);

    /// @notice A session cannot belong to nobody.
    error NoOwner();

    /// @notice Opens a session owned by the caller.
    /// @param session The session's identifier, which is a hash of its name.
    function open(bytes32 session) external {
        Session storage log = sessions[session];
        if (log.owner != address(0)) revert SessionExists(session);
        log.owner = msg.sender;
        emit Opened(session, msg.sender);
    }

    /// @notice Appends one record.
    /// @param session The session.
    /// @param seq The record's place in the session, from 1.
    /// @param prev The session's head before this record; zero for the first.
    /// @param digest The salted hash of the record.
    /// @param kind The kind of the record, as numbered by the caller.
    function append(bytes32 session, uint64 seq, bytes32 prev, bytes32 digest, uint8 kind) external {
        Session storage log = _writable(session, seq, prev);
        log.count = seq;
        log.head = _extend(session, seq, prev, digest, kind);
    }

    /// @notice Appends consecutive records in one transaction.
    /// @param session The session.
    /// @param seq The place of the first record.
    /// @param prev The session's head before the first record.
    /// @param digests The salted hashes of the records.
    /// @param kinds The kinds of the records.
    function appendMany(
        bytes32 session,
        uint64 seq,
        bytes32 prev,
        bytes32[] calldata digests,
        uint8[] calldata kinds
    ) external {
        if (digests.length != kinds.length) revert LengthMismatch(digests.length, kinds.length);
        if (digests.length == 0) return;
        Session storage log = _writable(session, seq, prev);
        bytes32 head = prev;
        for (uint256 i = 0; i < digests.length; ++i) {
            head = _extend(session, seq + uint64(i), head, digests[i], kinds[i]);
        }
        log.count = seq + (uint64(digests.length) - 1);
        log.head = head;
    }

    /// @notice Anchors a Merkle tree over consecutive records.
    /// @dev The head commits to a sixth word, so that it can never equal the head after an `append`.
    /// @param session The session.
    /// @param first The place of the tree's first record.
    /// @param prev The session's head before the tree.
    /// @param root The root over the records' digests, as in RFC 9162.
    /// @param count The number of records.
    function anchor(bytes32 session, uint64 first, bytes32 prev, bytes32 root, uint64 count) external {
        if (count == 0) revert EmptyTree(session);
        Session storage log = _writable(session, first, prev);
        bytes32 head = keccak256(abi.encode(session, first, prev, root, count, uint256(1)));
        log.count = first + (count - 1);
        log.head = head;
        emit Anchored(session, first, count, root, head);
    }

    /// @notice Hands sessions to another account, so that a key can be changed; closed ones stay closed.
    /// @param keys The sessions, all of which belong to the caller.
    /// @param owner The account that they belong to from now on.
    function rotate(bytes32[] calldata keys, address owner) external {
        if (owner == address(0)) revert NoOwner();
        for (uint256 i = 0; i < keys.length; ++i) {
            Session storage log = _owned(keys[i]);
            log.owner = owner;
            emit Rotated(keys[i], msg.sender, owner);
        }
    }

    /// @notice Closes a session for good.
    /// @param session The session.
    function close(bytes32 session) external {
        Session storage log = _open(session);
        log.closed = true;
        emit Closed(session, log.count, log.head);
    }

    /// @dev Returns a session of the caller's.
    /// @param session The session.
    /// @return log The session's state.
    function _owned(bytes32 session) private view returns (Session storage log) {
        log = sessions[session];
        address owner = log.owner;
        if (owner == address(0)) revert SessionUnknown(session);
        if (owner != msg.sender) revert NotOwner(session, msg.sender);
    }

    /// @dev Returns a session of the caller's that is not closed.
    /// @param session The session.
    /// @return log The session's state.
    function _open(bytes32 session) private view returns (Session storage log) {
        log = _owned(session);
        if (log.closed) revert SessionClosed(session);
    }

    /// @dev Returns a session of the caller's whose next record is the one that is meant.
    /// @param session The session.
    /// @param seq The place that the record must have.
    /// @param prev The head that the session must have.
    /// @return log The session's state.
    function _writable(bytes32 session, uint64 seq, bytes32 prev) private view returns (Session storage log) {
        log = _open(session);
        uint64 expected = log.count + 1;
        if (seq != expected) revert WrongSequence(expected, seq);
        bytes32 head = log.head;
        if (prev != head) revert WrongHead(head, prev);
    }

    /// @dev Emits one record's event.
    /// @param session The session.
    /// @param seq The record's place.
    /// @param prev The session's head before the record.
    /// @param digest The salted hash of the record.
    /// @param kind The kind of the record.
    /// @return head The session's head after the record.
    function _extend(bytes32 session, uint64 seq, bytes32 prev, bytes32 digest, uint8 kind)
        private
        returns (bytes32 head)
    {
        head = keccak256(abi.encode(session, seq, prev, digest, kind));
        emit Appended(session, seq, digest, kind, head);
    }
}
