app "a" {
  module   = "a.wasm"
  settings = ["budget"]
}
