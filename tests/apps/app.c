/* A small application for tests, without any work of its own; everything that it does is player.h's.
 *
 *   testapp run DIR     the application LCA_APPLICATION; reads DIR/NAME.mode, listens on DIR/NAME.ctl, appends to DIR/NAME.record
 *   testapp role DIR    a role command (on-primary, on-backup) of LCA_APPLICATION; reads DIR/NAME.role, appends to the same record */
#include "player.h"

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    struct player p;
    if (argc != 3 || !player_init(&p, argv[2])) {
        fprintf(stderr, "usage: LCA_APPLICATION=NAME %s run|role DIR\n", argv[0]);
        return 2;
    }
    return strcmp(argv[1], "role") == 0 ? player_role(&p, false) : player_run(&p);
}
