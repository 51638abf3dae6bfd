/**
 * The TLS identities of a soaked server: two, so that one can replace the other.
 *
 * The certificates are self-signed, for `localhost` and the loopback addresses, and valid for a hundred
 * years. The private keys are public: never serve real clients with them. Made by
 *
 * ```sh
 * openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout first.key -out first.crt \
 *   -days 36500 -subj "/O=Hotwheels soak only/CN=first" -addext "basicConstraints=critical,CA:FALSE" \
 *   -addext "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1"
 * ```
 *
 * @module
 */

import type { TlsIdentity, TlsTrust } from "../../../runtime/types.ts";

export const IDENTITIES: readonly [TlsIdentity, TlsIdentity] = [
  {
    cert: `-----BEGIN CERTIFICATE-----
MIIB3TCCAYSgAwIBAgIUT4d54hzTPq6MfAZHk2RjWdtfApMwCgYIKoZIzj0EAwIw
LjEcMBoGA1UECgwTSG90d2hlZWxzIHNvYWsgb25seTEOMAwGA1UEAwwFZmlyc3Qw
IBcNMjYxMTI0MDA1NjMyWhgPMjEyNjEwMzEwMDU2MzJaMC4xHDAaBgNVBAoME0hv
dHdoZWVscyBzb2FrIG9ubHkxDjAMBgNVBAMMBWZpcnN0MFkwEwYHKoZIzj0CAQYI
KoZIzj0DAQcDQgAELvLZdTbgxcHJbqVTq/zKXJQFflr7i0xtI/cBtR6aZWvnHSNp
wZjqpzRlkah9c7H04wUTmnoin2j4szSNvbTdC6N+MHwwHQYDVR0OBBYEFJAvW3V2
5tQ2QA7WHrteh1AMbYrhMB8GA1UdIwQYMBaAFJAvW3V25tQ2QA7WHrteh1AMbYrh
MAwGA1UdEwEB/wQCMAAwLAYDVR0RBCUwI4IJbG9jYWxob3N0hwR/AAABhxAAAAAA
AAAAAAAAAAAAAAABMAoGCCqGSM49BAMCA0cAMEQCIACBk0byRJlUgFkQzx/amw8X
ypXhg1xye09WqK4vKFswAiBd9b5OiprX4M3McInVV7j6+i4Ezd5ixrhg/sVfJdoo
mg==
-----END CERTIFICATE-----
`,
    key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgK0BsPzsbvi6cwePL
pimQz7P+NaeZ2612SvBZPhIS16+hRANCAAQu8tl1NuDFwclupVOr/MpclAV+WvuL
TG0j9wG1Hppla+cdI2nBmOqnNGWRqH1zsfTjBROaeiKfaPizNI29tN0L
-----END PRIVATE KEY-----
`,
  },
  {
    cert: `-----BEGIN CERTIFICATE-----
MIIB3zCCAYagAwIBAgIUEfCOXMrugPAqqsborcqiBtYw+YAwCgYIKoZIzj0EAwIw
LzEcMBoGA1UECgwTSG90d2hlZWxzIHNvYWsgb25seTEPMA0GA1UEAwwGc2Vjb25k
MCAXDTI2MTEyNDAwNTYzMloYDzIxMjYxMDMxMDA1NjMyWjAvMRwwGgYDVQQKDBNI
b3R3aGVlbHMgc29hayBvbmx5MQ8wDQYDVQQDDAZzZWNvbmQwWTATBgcqhkjOPQIB
BggqhkjOPQMBBwNCAAQeXajklvGoKD52OnpJTNnYM8rQJAX09P6KwDshe+ZLtKWY
wPO4ICD1Qo0ylC37Kz0vW3ediiJAniaQLUKyUVixo34wfDAdBgNVHQ4EFgQU8mFg
ZNwQQ6XKp4AJcjXKOtU1D3EwHwYDVR0jBBgwFoAU8mFgZNwQQ6XKp4AJcjXKOtU1
D3EwDAYDVR0TAQH/BAIwADAsBgNVHREEJTAjgglsb2NhbGhvc3SHBH8AAAGHEAAA
AAAAAAAAAAAAAAAAAAEwCgYIKoZIzj0EAwIDRwAwRAIgRi/5BHObZ+2FdkSJWZwB
EQHM/W46bOKzcD594xq8O60CIESLrQ8/sfRHEussxs4DVClL84GiFHpAFPP92ZBL
VHpA
-----END CERTIFICATE-----
`,
    key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg2myi8zupP+mVC07R
oiXw5fftbAntJQ3Ei0fM5A0qOcGhRANCAAQeXajklvGoKD52OnpJTNnYM8rQJAX0
9P6KwDshe+ZLtKWYwPO4ICD1Qo0ylC37Kz0vW3ediiJAniaQLUKyUVix
-----END PRIVATE KEY-----
`,
  },
];

/** Accepts both certificates and no others. */
export const TRUST: TlsTrust = {
  ca: IDENTITIES.map(({ cert }) => cert).join(""),
  serverName: "localhost",
};
