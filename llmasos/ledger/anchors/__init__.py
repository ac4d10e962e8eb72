"""Places outside the operator's control that vouch for the ledger, behind one port."""
