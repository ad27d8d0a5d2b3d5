// Product of matrices of f32.
#include <stdio.h>
#include <stdlib.h>

#define N 512
#define REP 5
static float A[N][N], B[N][N], C[N][N];

int main(void) {
  for (int i = 0; i < N; i++)
    for (int j = 0; j < N; j++) {
      A[i][j] = (i * j % 7) * 0.5f;
      B[i][j] = (i + j) % 5 * 0.25f;
    }
  for (int r = 0; r < REP; r++) {
    for (int i = 0; i < N; i++)
      for (int k = 0; k < N; k++) {
        float a = A[i][k] + r;
        for (int j = 0; j < N; j++) C[i][j] += a * B[k][j];
      }
  }
  double s = 0;
  for (int i = 0; i < N; i++)
    for (int j = 0; j < N; j++) s += C[i][j];
  printf("%.3f\n", s);
  return 0;
}
