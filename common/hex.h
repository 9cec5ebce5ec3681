#ifndef IMPCERT_COMMON_HEX_H
#define IMPCERT_COMMON_HEX_H

/* What a hexadecimal digit is worth; -1 for any other character. Pure. Thread: any. */
int hex_digit(char c);

#endif
