tls {
  acme {
    domains = ["*.example.org", "127.0.0.1", "Example.org", "a.example.org"]
    email         = "ann"
    directory     = "http://acme.example.org/dir"
    accept_terms  = true
  }
}
