/** What an idle run prints: memory before and after, and what a connection takes of it. */
import type { IdleResult } from "../measure/idle.js";
import { type Column, figure } from "./table.js";

const MiB = 1024 * 1024;

export const idleColumns: readonly Column<IdleResult>[] = [
  { head: "system", cell: (row) => row.system, align: "left" },
  { head: "connections", cell: (row) => figure(row.connections) },
  { head: "before MiB", cell: (row) => figure(row.rssBeforeBytes / MiB) },
  { head: "after MiB", cell: (row) => figure(row.rssAfterBytes / MiB) },
  { head: "bytes per connection", cell: (row) => figure(row.bytesPerConnection) },
  { head: "anonymous", cell: (row) => figure(row.anonymousBytesPerConnection) },
  { head: "all signed in after s", cell: (row) => figure(row.connectMs / 1000) },
];
