/** A negative control that no longer fits the engine is noticed here, before the fault tests run. */
import { expect, test } from "vitest";
import { type MutantName, mutants, placesOf } from "./mutant.js";

test.each(Object.keys(mutants) as MutantName[])(
  "the mutations of %s each fit one place of the build",
  (name) => {
    const places = placesOf(name);
    expect(places).toEqual(places.map(() => 1));
  },
);
