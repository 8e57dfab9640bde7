/** Looks into a data directory from a process of its own. Run as: node <compiled> <data directory>. */
import { checkDirectory, inspectDirectory } from "../../src/store/store.js";

const directory = process.argv[2] ?? "";
const inspector = inspectDirectory(directory);
const { ownerPid } = inspector.overview();
const queues = inspector.queues().items.length;
await inspector.close();
const { ok, findings } = await checkDirectory(directory);
process.stdout.write(JSON.stringify({ ownerPid, queues, ok, findings }));
