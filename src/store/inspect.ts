export type InspectedDevice = {};
export class Inspector {}
export function inspectDirectory(): void {}
