package main
import ("testing";"fmt";"os";"github.com/auricle-dev/auricle/sdk/apptest")
func TestProbe(t *testing.T){ for _,p:=range []string{"../../conversations/budget-meeting/transcript.json","/tmp/sdk/talk2.json"}{r:=apptest.Conversation(t,p); m:=write(r.Completed());
 fmt.Println(m.Title); fmt.Println(m.Overview); fmt.Println(m.Topics); for _,d:=range m.Decisions{fmt.Println("D",d.Description,"|",d.Segment)}; for _,d:=range m.ActionItems{fmt.Printf("A %q %q %q %s\n",d.Description,d.Who,d.When,d.Segment)}; fmt.Println(m.Deadlines,m.Speakers)}; _=os.Args}
