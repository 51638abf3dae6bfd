import { Impossible, record, type StrikeOnce } from "./arena.ts";

/** Changes the server's certificate. */
export const renew: StrikeOnce = ({ renew, kills, pid }) => {
  if (renew === null) return Promise.reject(new Impossible("the server has none"));
  kills.note(record("renewed", pid, 0));
  renew();
  return Promise.resolve();
};

/** Gives the server a certificate that it can't use: it keeps the one that it has. */
export const misrenew: StrikeOnce = ({ misrenew, kills, pid }) => {
  if (misrenew === null) return Promise.reject(new Impossible("the server has none"));
  kills.note(record("misrenewed", pid, 0));
  return misrenew();
};
