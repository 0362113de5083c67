auth {
  jwt {
    issuer     = "https://login.example.org"
    algorithms = ["HS256", "none"]
    jwks_url   = "http://login.example.org/jwks.json"
  }
}
