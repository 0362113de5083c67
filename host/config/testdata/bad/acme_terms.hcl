tls {
  acme {
    domains = ["a.example.org"]
  }
}
