app "a" {
  module = "a.wasm"
  settings = {
    words = ["budget"]
    "words" = ["deadline"]
  }
}
