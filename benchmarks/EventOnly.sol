// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The least that a record on a chain can cost
/// @notice It keeps nothing and checks nothing: the peer that the gas of `AuditLog.append` is measured against.
contract EventOnly {
    /// @notice A record was logged.
    /// @param session The session.
    /// @param seq The record's place in the session.
    /// @param digest The salted hash of the record.
    /// @param kind The kind of the record.
    event Logged(bytes32 indexed session, uint64 indexed seq, bytes32 digest, uint8 kind);

    /// @notice Logs one record.
    /// @param session The session.
    /// @param seq The record's place in the session.
    /// @param digest The salted hash of the record.
    /// @param kind The kind of the record.
    function log(bytes32 session, uint64 seq, bytes32 digest, uint8 kind) external {
        emit Logged(session, seq, digest, kind);
    }
}
