//go:build arm64 && !purego

#include "textflag.h"

// Moves lane a forward by the distance in V31 and adds the bytes in d. The low
// half of a lane holds the higher powers.
#define FOLD(a, t, d) \
	VPMULL  V31.D1, a.D1, t.Q1; \
	VPMULL2 V31.D2, a.D2, a.Q1; \
	VEOR    t.B16, d.B16, t.B16; \
	VEOR    t.B16, a.B16, a.B16

// Moves lane a forward by the distance in V31 and adds it to lane b.
#define JOIN(a, b) \
	VPMULL  V31.D1, a.D1, V16.Q1; \
	VPMULL2 V31.D2, a.D2, V17.Q1; \
	VEOR    V16.B16, b.B16, b.B16; \
	VEOR    V17.B16, b.B16, b.B16

// func fold(crc uint64, p []byte, k *[4]uint64, out *[16]byte)
TEXT ·fold(SB), NOSPLIT, $0-48
	MOVD  crc+0(FP), R0
	MOVD  p_base+8(FP), R1
	MOVD  p_len+16(FP), R2
	MOVD  k+32(FP), R3
	MOVD  out+40(FP), R4
	VLD1.P 64(R1), [V0.B16, V1.B16, V2.B16, V3.B16]
	VLD1.P 64(R1), [V4.B16, V5.B16, V6.B16, V7.B16]
	VEOR  V16.B16, V16.B16, V16.B16
	VMOV  R0, V16.D[0]
	VEOR  V16.B16, V0.B16, V0.B16
	VLD1.P 16(R3), [V31.D2]
	SUBS  $128, R2, R2
	BEQ   joined

next:
	VLD1.P 64(R1), [V20.B16, V21.B16, V22.B16, V23.B16]
	VLD1.P 64(R1), [V24.B16, V25.B16, V26.B16, V27.B16]
	FOLD(V0, V16, V20)
	FOLD(V1, V17, V21)
	FOLD(V2, V18, V22)
	FOLD(V3, V19, V23)
	FOLD(V4, V16, V24)
	FOLD(V5, V17, V25)
	FOLD(V6, V18, V26)
	FOLD(V7, V19, V27)
	SUBS  $128, R2, R2
	BNE   next

joined:
	VLD1  (R3), [V31.D2]
	JOIN(V0, V1)
	JOIN(V1, V2)
	JOIN(V2, V3)
	JOIN(V3, V4)
	JOIN(V4, V5)
	JOIN(V5, V6)
	JOIN(V6, V7)
	VST1  [V7.B16], (R4)
	RET
