export type CheckFinding = {};
export type CheckReport = {};
export function checkDirectory(): void {}
