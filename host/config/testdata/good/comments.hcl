# a comment
// another
/* and
   a third */
