app "a" {
  module   = "a.wasm"
  settings = { limit = 1e400 }
}
