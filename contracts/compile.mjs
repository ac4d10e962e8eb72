// Compiles AuditLog.sol to llmasos/ledger/AuditLog.json, or, with two arguments, another source to another path.
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import solc from "solc";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const [target = here("../llmasos/ledger/AuditLog.json"), source = here("AuditLog.sol")] = process.argv.slice(2);
const file = basename(source);
const name = basename(source, ".sol");
const input = JSON.stringify({
  language: "Solidity",
  sources: { [file]: { content: readFileSync(source, "utf8") } },
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

const contract = output.contracts[file][name];
const artifact = {
  contract: name,
  compiler: solc.version(),
  input_sha256: createHash("sha256").update(input).digest("hex"),
  selectors: contract.evm.methodIdentifiers,
  abi: contract.abi,
  bytecode: contract.evm.bytecode.object,
};
writeFileSync(target, JSON.stringify(artifact, null, 1) + "\n");
