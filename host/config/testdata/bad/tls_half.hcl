tls {
  cert = "a.pem"
}
