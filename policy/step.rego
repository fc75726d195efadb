# What every rule asks of a step before it judges: is it this step's turn?
package vishwa.step

# A step is due when what it makes, or what it is made from, is known. A pending
# step is judged when its turn comes, before anything is signed or deployed.
due if {
	input.step.do != "retire"
	input.phase == "act"
}

due if {
	input.step.do != "retire"
	not input.step.pending
}

# The kinds whose steps release a model.
releases if input.step.kind == "model"

releases if input.step.kind == "deployment"
