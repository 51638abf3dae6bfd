import { ADDRESSES } from "./addresses.ts";
import type { Case } from "./case.ts";
import { EVERYDAY } from "./everyday.ts";
import { LIMITS } from "./limits.ts";
import { ODD } from "./odd.ts";
import { RETURNING } from "./returning.ts";

/** All cases, the same for each platform. */
export const CASES: readonly Case[] = [...EVERYDAY, ...RETURNING, ...LIMITS, ...ODD, ...ADDRESSES];
