listen = "0.0.0.0:7080"
auth {
  jwt {
    issuer = "i"
  }
}
