/**
 * Which of a run's devices are this process's: of `parts` generator processes,
 * number `part` has every `parts`-th device, from device number `part` on. All
 * processes call all devices by the same numbers, so that devices of different
 * processes write to one another.
 */
export interface Share {
  readonly part: number;
  readonly parts: number;
}

/** Of a run with one generator process. */
export const wholeShare: Share = { part: 0, parts: 1 };

export function isOwn({ part, parts }: Share, device: number): boolean {
  return device % parts === part;
}

/** The process's own devices in [from, to), in order. */
export function* ownDevices({ part, parts }: Share, from: number, to: number): Generator<number> {
  const first = from + ((((part - from) % parts) + parts) % parts);
  for (let device = first; device < to; device += parts) yield device;
}
