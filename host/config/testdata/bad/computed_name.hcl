app "a" {
  module   = "a.wasm"
  settings = { (word) = 1 }
}
