// What Brian2's generated program calls from outside: the two events of an epoch, and the loop that obeys the engine.
#ifndef FORAGING_WORKER_H
#define FORAGING_WORKER_H

class Network;

namespace foraging {
double begin_epoch();    // phase events, before the cells advance
double epoch_boundary();  // after the spikes of the epoch's first step
int serve(Network& network);
}  // namespace foraging
#endif
