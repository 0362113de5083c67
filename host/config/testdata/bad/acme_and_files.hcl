tls {
  cert = "a.pem"
  key  = "a.key"
  acme {
    domains      = ["a.example.org"]
    accept_terms = true
  }
}
