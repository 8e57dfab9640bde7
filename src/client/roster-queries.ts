/** Roster queries that have no answer yet; asked again after a reconnect. */
import type { AccountAddress } from "../base/address.js";
import { encodeClientFrame } from "../wire/client-frames.js";
import type { RosterFrame } from "../wire/server-frames.js";
import { type Question, Questions } from "./questions.js";
import type { Roster } from "./types.js";

/** A quarter of what a node answers of one connection in a turn (docs/protocol.md, answersPerTurnMax): sends may be refused beside it. */
const UNDER_WAY_MAX = 128;

interface RosterQuery extends Question {
  readonly resolve: (roster: Roster) => void;
}

export class RosterQueries extends Questions<RosterQuery> {
  constructor() {
    super(UNDER_WAY_MAX);
  }

  /** Rejects with InterlineError. */
  ask(account: AccountAddress): Promise<Roster> {
    return new Promise((resolve, reject) => {
      this.add((request) => {
        const frame = encodeClientFrame({ kind: "rosterQuery", request, account });
        return { frame, isRepeatable: true, resolve, reject };
      });
    });
  }

  answer({ request, account, version, devices }: RosterFrame): void {
    this.take(request)?.resolve({ account, version, devices });
  }
}
