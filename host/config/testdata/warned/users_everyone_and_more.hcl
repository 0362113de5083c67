app "a" {
  module = "a.wasm"
  users  = ["anna", "*"]
}
