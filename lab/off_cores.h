/* All cores on for an experiment or a test, and afterwards as the user had them. */
#pragma once

#include "kernel/lib/cpumask.h"

/* Turn on the cores that are off, and say so: "... until the `what` has ended". Returns
 * the cores that were off and are on now. A core that does not come stays off. May
 * sleep. */
struct cpumask cores_on_for(const char *what);
/* Turn these cores off, those that are on. Says for each what happened. May sleep. */
void cores_off_again(struct cpumask were_off);
