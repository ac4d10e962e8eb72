// Compiles AuditLog.sol to llmasos/ledger/AuditLog.json, or to the path given as the only argument.
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import solc from "solc";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const input = JSON.stringify({
  language: "Solidity",
  sources: { "AuditLog.sol": { content: readFileSync(here("AuditLog.sol"), "utf8") } },
  settings: {
    evmVersion: "cancun",
    viaIR: true,
    optimizer: { enabled: true, runs: 10000 },
    metadata: { bytecodeHash: "ipfs" },
    outputSelection: { "*": { "*": ["abi", "evm.bytecode.object", "evm.methodIdentifiers"] } },
  },
});

const output = JSON.parse(solc.compile(input));
for (const problem of output.errors ?? []) console.error(problem.formattedMessage);
if (output.errors?.length) process.exit(1);

const contract = output.contracts["AuditLog.sol"].AuditLog;
const artifact = {
  contract: "AuditLog",
  compiler: solc.version(),
  input_sha256: createHash("sha256").update(input).digest("hex"),
  selectors: contract.evm.methodIdentifiers,
  abi: contract.abi,
  bytecode: contract.evm.bytecode.object,
};
writeFileSync(process.argv[2] ?? here("../llmasos/ledger/AuditLog.json"), JSON.stringify(artifact, null, 1) + "\n");
