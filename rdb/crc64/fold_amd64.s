//go:build amd64 && !purego

#include "textflag.h"

// func hasCarrylessMultiply() bool
TEXT ·hasCarrylessMultiply(SB), NOSPLIT, $0-1
	MOVL $1, AX
	XORL CX, CX
	CPUID
	SHRL $1, CX
	ANDL $1, CX
	MOVB CX, ret+0(FP)
	RET

// Moves lane a forward by the distance in X15 and adds the bytes at off(SI).
// The low half of a lane holds the higher powers.
#define FOLD(a, t, u, off) \
	MOVOU     off(SI), u; \
	MOVOA     a, t; \
	PCLMULQDQ $0x00, X15, a; \
	PCLMULQDQ $0x11, X15, t; \
	PXOR      u, a; \
	PXOR      t, a

// Moves lane a forward by the distance in X15 and adds it to lane b.
#define JOIN(a, b) \
	MOVOA     a, X8; \
	PCLMULQDQ $0x00, X15, a; \
	PCLMULQDQ $0x11, X15, X8; \
	PXOR      a, b; \
	PXOR      X8, b

// func fold(crc uint64, p []byte, k *[4]uint64, out *[16]byte)
TEXT ·fold(SB), NOSPLIT, $0-48
	MOVQ crc+0(FP), AX
	MOVQ p_base+8(FP), SI
	MOVQ p_len+16(FP), CX
	MOVQ k+32(FP), DX
	MOVQ out+40(FP), DI
	MOVOU 0(SI), X0
	MOVOU 16(SI), X1
	MOVOU 32(SI), X2
	MOVOU 48(SI), X3
	MOVOU 64(SI), X4
	MOVOU 80(SI), X5
	MOVOU 96(SI), X6
	MOVOU 112(SI), X7
	MOVQ  AX, X8
	PXOR  X8, X0
	MOVOU (DX), X15
	ADDQ  $128, SI
	SUBQ  $128, CX
	JZ    joined

next:
	FOLD(X0, X8, X11, 0)
	FOLD(X1, X9, X12, 16)
	FOLD(X2, X10, X13, 32)
	FOLD(X3, X8, X11, 48)
	FOLD(X4, X9, X12, 64)
	FOLD(X5, X10, X13, 80)
	FOLD(X6, X8, X11, 96)
	FOLD(X7, X9, X12, 112)
	ADDQ  $128, SI
	SUBQ  $128, CX
	JNZ   next

joined:
	MOVOU 16(DX), X15
	JOIN(X0, X1)
	JOIN(X1, X2)
	JOIN(X2, X3)
	JOIN(X3, X4)
	JOIN(X4, X5)
	JOIN(X5, X6)
	JOIN(X6, X7)
	MOVOU X7, (DI)
	RET

// func hasWideMultiply() bool
TEXT ·hasWideMultiply(SB), NOSPLIT, $0-1
	MOVB   $0, ret+0(FP)
	XORL   AX, AX
	CPUID
	CMPL   AX, $7 // the greatest leaf
	JLT    no
	MOVL   $1, AX
	XORL   CX, CX
	CPUID
	BTL    $27, CX // OSXSAVE: XGETBV may be used
	JCC    no
	XORL   CX, CX
	XGETBV
	ANDL   $0xe6, AX // SSE, AVX, masks and both parts of the 512 bits
	CMPL   AX, $0xe6
	JNE    no
	MOVL   $7, AX
	XORL   CX, CX
	CPUID
	BTL    $16, BX // AVX512F
	JCC    no
	BTL    $10, CX // VPCLMULQDQ
	JCC    no
	MOVB   $1, ret+0(FP)

no:
	RET

// Moves the four lanes of a forward by the distance in Z15 and adds the bytes at
// off(SI).
#define WIDE(a, t, off) \
	VPCLMULQDQ $0x00, Z15, a, t; \
	VPCLMULQDQ $0x11, Z15, a, a; \
	VPTERNLOGQ $0x96, off(SI), t, a

// func foldWide(crc uint64, p []byte, k *[2]uint64, out *[256]byte)
TEXT ·foldWide(SB), NOSPLIT, $0-48
	MOVQ            crc+0(FP), AX
	MOVQ            p_base+8(FP), SI
	MOVQ            p_len+16(FP), CX
	MOVQ            k+32(FP), DX
	MOVQ            out+40(FP), DI
	VMOVDQU64       0(SI), Z0
	VMOVDQU64       64(SI), Z1
	VMOVDQU64       128(SI), Z2
	VMOVDQU64       192(SI), Z3
	VMOVQ           AX, X8 // and zeros above it
	VPXORQ          Z8, Z0, Z0
	VBROADCASTI32X4 (DX), Z15
	ADDQ            $256, SI
	SUBQ            $256, CX
	JZ              folded

wide:
	WIDE(Z0, Z8, 0)
	WIDE(Z1, Z9, 64)
	WIDE(Z2, Z10, 128)
	WIDE(Z3, Z11, 192)
	ADDQ $256, SI
	SUBQ $256, CX
	JNZ  wide

folded:
	VMOVDQU64 Z0, 0(DI)
	VMOVDQU64 Z1, 64(DI)
	VMOVDQU64 Z2, 128(DI)
	VMOVDQU64 Z3, 192(DI)
	VZEROUPPER
	RET
