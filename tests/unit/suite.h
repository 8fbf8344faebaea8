/* SPDX-License-Identifier: Apache-2.0 */
/* suite.h: a program of unit tests: UNIT_MAIN("name", test, test, ...). */
#ifndef UNIT_SUITE_H
#define UNIT_SUITE_H

#include <check.h>
#include <stdlib.h>

#define ck_ok(call, err) ck_assert_msg((call) == 0, "%s: %s", #call, (err).message)

#define UNIT_MAIN(name, ...)                                                                                 \
    int main(void)                                                                                           \
    {                                                                                                        \
        const TTest *const tests[] = {__VA_ARGS__};                                                          \
        Suite *suite = suite_create(name);                                                                   \
        TCase *tcase = tcase_create(name);                                                                   \
        SRunner *runner;                                                                                     \
        int failed;                                                                                          \
                                                                                                             \
        for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)                                        \
            tcase_add_test(tcase, tests[i]);                                                                 \
        tcase_set_timeout(tcase, 120);                                                                       \
        suite_add_tcase(suite, tcase);                                                                       \
        runner = srunner_create(suite);                                                                      \
        srunner_run_all(runner, CK_NORMAL);                                                                  \
        failed = srunner_ntests_failed(runner);                                                              \
        srunner_free(runner);                                                                                \
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;                                                    \
    }

#endif
