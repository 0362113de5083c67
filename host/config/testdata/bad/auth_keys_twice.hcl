auth {
  jwt {
    issuer      = "i"
    audience    = "a"
    jwks_file   = "jwks.json"
    secret_file = "secret"
  }
}
