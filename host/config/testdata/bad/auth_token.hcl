auth {
  token "a" {
    sha256 = "secret"
    scopes = ["streams"]
  }
  token "b" {
    uid = "two words"
  }
  token {}
}
