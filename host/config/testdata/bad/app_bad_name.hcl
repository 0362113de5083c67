app "Key Words" {
  module = "a.wasm"
}
