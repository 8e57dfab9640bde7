/** The generator of `group-fanout`: one process, driven by the harness over IPC (requests.ts). */
import { announceReady, answerRequests } from "../process/requests.js";
import { Fanout, type FanoutOptions } from "./fanout.js";

let fanout: Fanout | undefined;

function present(): Fanout {
  if (fanout === undefined) throw new Error("the generator has not been set up");
  return fanout;
}

answerRequests({
  async open(options: FanoutOptions) {
    fanout = new Fanout(options);
    await fanout.open();
  },
  start: ({ inFlight }: { inFlight: number }) => present().start(inFlight),
  warmUp: (until: { deliveries: number; msMax: number }) => present().warmUp(until),
  measure: () => present().measure(),
  finish: (window: { fromMs: number; toMs: number; drainMs: number }) => present().finish(window),
});
announceReady({});
