#ifndef EWH_ANSWER_H
#define EWH_ANSWER_H
typedef struct EwhAnswer EwhAnswer;
#endif
