retention {
  conversation {
    age = "1h"
  }
  output {
    age = "1h"
  }
}
