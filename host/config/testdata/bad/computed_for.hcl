app "a" {
  module   = "a.wasm"
  settings = { words = [for w in ["budget"] : w] }
}
