/** layout.ts is read by both compilers; this is what TypeScript needs to know of AssemblyScript's names. */
declare type u32 = number;
