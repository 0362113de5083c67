app "a" {
  module = "a.wasm"
  http {
    private = ["0.0.0.0/0"]
    header "Authorization" {
      value = "Bearer key"
    }
  }
}
