import { ImpossibleStrike, record, type StrikeOnce } from "./strike_context.ts";

/** Changes the server's certificate. */
export const renew: StrikeOnce = ({ renew, strikes, pid }) => {
  if (renew === null) return Promise.reject(new ImpossibleStrike("the server has none"));
  strikes.note(record("renewed", pid, 0));
  renew();
  return Promise.resolve();
};

/** Gives the server an unusable certificate: it must keep the one that it has. */
export const misrenew: StrikeOnce = ({ misrenew, strikes, pid }) => {
  if (misrenew === null) return Promise.reject(new ImpossibleStrike("the server has none"));
  strikes.note(record("misrenewed", pid, 0));
  return misrenew();
};
