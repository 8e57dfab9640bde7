/** Which brands may meet: the one rule about envelopes between brands. */

/** `open`: every brand with every other. A list: only these ordered pairs. Within a brand envelopes always pass. */
export type Crossing = "open" | readonly { readonly from: string; readonly to: string }[];

export function mayCross(crossing: Crossing, from: string, to: string): boolean {
  if (from === to) return true;
  if (crossing === "open") return true;
  return crossing.some((pair) => pair.from === from && pair.to === to);
}
