package flowengine

import (
	"encoding/json"
	"fmt"
	"runtime"
	"testing"

	"github.com/usher-id/usher/flowengine/flow"
	"github.com/usher-id/usher/tenant"
)

// What a program is estimated to weigh is what it weighs, by a factor of two:
// the cache is bounded by it.
func TestProgramCost(t *testing.T) {
	own := func(c *tenant.Config, flows int) {
		for i := range flows {
			c.Flows.LoginFlows = append(c.Flows.LoginFlows, tenant.Flow{Name: fmt.Sprint("flow_", i), Steps: []tenant.Step{
				{Name: "who", Type: "identify", OneOf: []tenant.Branch{{Identification: "email"}, {Identification: "username"}}},
				{Type: "authenticate", OneOf: []tenant.Branch{
					{Authentication: "primary_password", TargetStep: "who", Steps: []tenant.Step{{Type: "check_account_status"}}},
				}},
			}})
		}
	}
	for _, flows := range []int{0, 10, 50} {
		const programs = 300
		var kept []*flow.Program
		estimated := 0
		before := liveHeap()
		for i := range programs {
			c := tenant.DefaultConfig()
			c.Sessions.LifetimeSeconds += i
			own(c, flows)
			document, err := json.Marshal(c)
			if err != nil {
				t.Fatal(err)
			}
			p, err := compile(document)
			if err != nil {
				t.Fatal(err)
			}
			kept = append(kept, p)
			estimated += int(programCost(document))
		}
		real := int(liveHeap() - before)
		runtime.KeepAlive(kept)
		t.Logf("with %d flows: %d bytes, estimated %d", flows, real/programs, estimated/programs)
		if estimated < real/2 || estimated > real*2 {
			t.Errorf("with %d flows a program weighs %d bytes and is estimated at %d", flows, real/programs, estimated/programs)
		}
	}
}

func liveHeap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
