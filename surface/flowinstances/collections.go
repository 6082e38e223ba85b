package flowinstances

// Why entries of collections can't be written.
const (
	whyBindings = "The steps of a flow are changed as a whole: export the flow, edit its steps and import it, or edit the tenant's configuration."
	whyStages   = "A stage is what a step of a flow does: export the flow, edit its steps and import it, or edit the tenant's configuration."
	whyPrompts  = "The fields of a prompt follow from the step and the tenant's settings."
	whyPolicies = "Nothing here is decided by policies: who may do what follows from the steps of a flow and the tenant's settings."
)

// collections are all lists but the one of flows.
func collections() []collection {
	out := []collection{
		{path: Base + "flows/bindings/", rows: bindings, why: whyBindings, order: "target,order", search: []string{"stage", "target"}, filters: map[string]filter{
			"fsb_uuid": {key: "pk"}, "pbm_uuid": {key: "policybindingmodel_ptr_id"}, "target": {key: "target"}, "stage": {key: "stage"}, "order": {key: "order"},
			"evaluate_on_plan": {key: "evaluate_on_plan"}, "re_evaluate_policies": {key: "re_evaluate_policies"},
			"policy_engine_mode":      {key: "policy_engine_mode", values: []string{"all", "any"}},
			"invalid_response_action": {key: "invalid_response_action", values: []string{"retry", "restart", "restart_with_context"}},
		}},
		{path: Base + "stages/all/", rows: allStages, why: whyStages, order: "name", search: []string{"name"}, filters: named()},
		{path: Base + "stages/prompt/prompts/", rows: prompts, why: whyPrompts, order: "name", search: []string{"field_key", "name", "label"}, filters: map[string]filter{
			"field_key": {key: "field_key"}, "name": {key: "name"}, "label": {key: "label"}, "type": {key: "type"},
		}},
		{path: Base + "policies/all/", rows: none, why: whyPolicies},
		{path: Base + "policies/bindings/", rows: none, why: whyPolicies},
	}
	for _, k := range kinds {
		out = append(out, collection{path: Base + "stages/" + k.path + "/", rows: k.rows, why: whyStages, order: "name", search: []string{"name"}, filters: named()})
	}
	return out
}

func named() map[string]filter {
	return map[string]filter{"name": {key: "name"}, "stage_uuid": {key: "pk"}}
}

func none(*catalog) []row { return nil }

func allStages(c *catalog) []row {
	out := make([]row, 0, len(c.stages))
	for _, s := range c.stages {
		out = append(out, row{s.named(), func() object { return s.brief(c) }})
	}
	return out
}

// rows are the stages of one type.
func (k *kind) rows(c *catalog) []row {
	var out []row
	for _, s := range c.stages {
		if s.kind == k {
			out = append(out, row{s.named(), func() object { return s.show(c) }})
		}
	}
	return out
}

// bindings are the places of all flows. Nothing is planned ahead: a step is
// looked at when the run comes to it, and a wrong answer asks again.
func bindings(c *catalog) []row {
	var out []row
	for _, i := range c.instances {
		for _, b := range i.bindings {
			out = append(out, row{object{
				"pk": b.pk, "policybindingmodel_ptr_id": b.pk, "target": i.pk, "stage": b.stage.pk, "order": b.order,
				"evaluate_on_plan": false, "re_evaluate_policies": true, "policy_engine_mode": "any", "invalid_response_action": "retry",
			}, func() object { return object{"stage_obj": b.stage.brief(c)} }})
		}
	}
	return out
}
