app "a" {
  module = "a.wasm"
  grant  = ["transcript", "notify", "transcript"]
}
