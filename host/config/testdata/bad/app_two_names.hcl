app "a" "b" {
  module = "a.wasm"
}
