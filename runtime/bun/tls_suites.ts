/**
 * The cipher suites of TLS 1.2 that are spoken, on either side: those that keep past connections secret
 * when a key is lost, and that authenticate what they encipher. Older versions aren't spoken, and TLS 1.3
 * has none but such. Deno's engine knows no others anyway; Bun's takes CBC with SHA-1 unless told.
 */
export const TLS_SUITES: string = [
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
].join(":");
